"""Readers of archives: zip and tar files of pictures, recordings or texts."""
