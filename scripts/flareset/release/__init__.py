"""A release: the data set as a bag with its card, its sums, its metadata and its layouts."""
