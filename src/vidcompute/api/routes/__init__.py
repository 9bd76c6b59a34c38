"""One router per noun; each names its full paths, so that metrics can name them too."""
