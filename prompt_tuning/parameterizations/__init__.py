"""What a row trains: a prompt, a whole model, or anything that computes prompts."""
