"""`python -m dgqa_infer` is the program `dgqa-infer`."""

from dgqa_infer.cli.entry import main

if __name__ == "__main__":
    main()
