"""The demo: the whole pipeline on real video, played by a real supervisor on this machine."""
