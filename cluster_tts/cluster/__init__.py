"""RayCrew: the same parts carried to other processes and machines. Only this folder imports Ray."""
