"""Two sets of photographs of the same scenes: did a new camera, codec or firmware make them better?"""
