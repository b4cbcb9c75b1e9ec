"""A verdict for each reader: a person, a build server, a code host."""
