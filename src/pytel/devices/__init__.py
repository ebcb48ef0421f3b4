"""Hardware behind the interfaces. `simulated` has drivers that anybody can run, and the world that they drive."""
