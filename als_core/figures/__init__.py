"""One plot function per figure, taking data only, in one house style; table formatting."""
