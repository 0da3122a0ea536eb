"""mvdb in other frameworks. Each module needs the extra of its framework; importing this package
imports none of them."""
