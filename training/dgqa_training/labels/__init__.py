"""Labels for synthetic images, without anybody's rating of them."""
