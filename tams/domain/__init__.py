"""Plain values and pure rules of time-addressable media. Imports nothing of ours from other rooms, and no framework."""
