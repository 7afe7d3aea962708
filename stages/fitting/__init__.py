"""How a flow is trained: members as points, batches, the state that a checkpoint holds, what is watched."""
