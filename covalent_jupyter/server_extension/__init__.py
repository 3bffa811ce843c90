"""What the Jupyter server extension is made of: the link to the service, and the proxy in front of it."""
