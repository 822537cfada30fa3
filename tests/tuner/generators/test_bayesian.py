from tests.contracts.generator_contract import GeneratorContract


class TestBayesianContract(GeneratorContract):
    method = "bayesian"
