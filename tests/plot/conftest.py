from support.needs import module_needs

pytest_pycollect_makemodule = module_needs("matplotlib")
