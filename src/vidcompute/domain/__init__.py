"""Pure nouns and rules: job, media, plan, ladder, frames, task, retry, placement. Standard library only, no I/O."""
