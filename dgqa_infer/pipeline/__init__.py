"""Files go through isolated workers into batches, and come out as one outcome each."""
