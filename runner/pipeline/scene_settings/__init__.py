"""What the uploader of one scene asks for, and how far it is given."""
