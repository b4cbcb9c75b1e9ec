"""Fuzzing of the compiled core under AddressSanitizer and UndefinedBehaviorSanitizer: `python -m tests.fuzz`."""
