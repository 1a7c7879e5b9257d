//! The edge: listeners, routing, admission, proxying, agent fronts, draining.
