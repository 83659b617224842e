"""The dispatcher's SQL. Hot statements move hundreds of rows each; they are written out, for their plan to be read."""
