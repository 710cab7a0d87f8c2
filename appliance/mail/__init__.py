"""Floor 0, the nouns: pure values and scanners; imports nothing of ours."""
