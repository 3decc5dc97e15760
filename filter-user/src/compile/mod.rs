//! A valid configuration to the contents of the program's tables. Pure.
