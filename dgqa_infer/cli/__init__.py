"""The command line: one module a command; the library never imports it."""
