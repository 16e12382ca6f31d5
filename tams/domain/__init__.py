"""Plain values and pure rules of time-addressable media. Imports no other room of the project, and no framework."""
