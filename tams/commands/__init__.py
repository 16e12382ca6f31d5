"""The `tams` command: a file per group of commands, loaded when the group is used."""
