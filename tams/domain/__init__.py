"""Plain values and pure rules of time-addressable media. Imports nothing of ours from outside this room and no framework."""
