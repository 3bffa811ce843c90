"""What a notebook shows and understands: figures, magics, panels."""
