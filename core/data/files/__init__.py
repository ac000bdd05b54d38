"""Files as values of a column: pictures, recordings and texts, as archives have them and as predictions get them."""
