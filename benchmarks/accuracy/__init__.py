"""How far scores and explanations agree with people, and whether they keep their order."""
