// Linked with libFuzzer and loaded before everything else: libFuzzer looks for a custom mutator here.
// Which one it is the target says, once it is loaded.
#include <stddef.h>
#include <stdint.h>

extern "C" {

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

size_t (*fuzz_mutator)(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return fuzz_mutator ? fuzz_mutator(data, size, most, seed) : LLVMFuzzerMutate(data, size, most);
}

}
