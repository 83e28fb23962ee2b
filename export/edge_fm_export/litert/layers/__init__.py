"""Which layer of an int8 model is which of the float one: their errors, and leaving some in float."""
