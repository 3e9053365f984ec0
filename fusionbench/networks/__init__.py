"""Networks: plain modules that know tensors only, one file per method, one folder per sub-field."""
