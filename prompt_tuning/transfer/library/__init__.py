"""Libraries of prompts: what they hold, and which of it fits, is alike, and comes from what."""
