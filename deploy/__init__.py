"""How Lapwing is run: on this machine (`local`) and against a gateway that is not there."""
