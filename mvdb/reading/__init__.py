"""From files to passages: finding, decoding, recognising structure, cutting."""
