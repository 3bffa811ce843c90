"""What kernels, scripts and the command line use to talk to the service."""
