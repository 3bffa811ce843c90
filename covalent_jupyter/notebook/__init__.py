"""What people type and see in a notebook: magics, debugging, figures, panels."""
