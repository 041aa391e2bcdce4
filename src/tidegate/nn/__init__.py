"""Networks: plain torch modules that know nothing of training and nothing of tables."""
