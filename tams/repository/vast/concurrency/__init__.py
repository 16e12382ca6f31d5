"""The three ways to keep concurrent writes apart, of which a database uses one, and what they share.

`claims` needs no conflicts from the cluster. `stripes` uses conflicts on rows that exist for this purpose; it is for
clusters that detect these and cannot end a transaction of another session. `single_writer` lets one process write.

The three ways do not detect each other. So the mode is stored in the database, and every transaction that writes checks
it (`modes`).
"""
