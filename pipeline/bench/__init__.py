"""How fast, how frugal and how prompt the pipeline is: measured on this machine, against a task that does nothing."""
