"""Owns what a run keeps in the file system, apart from metrics: the checkpoint, directories, locks, and the files of sockets."""
