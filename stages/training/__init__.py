"""How members are trained: recipe to optimizer and schedule, augmentation, loss, and the loop itself."""
