"""Records: events as typed trees (rows, source block, envelope), which encodings with schemas are made of."""
