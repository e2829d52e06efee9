"`python -m brain_tumor_nb` is the command `btnb`."
from .cli import main

if __name__ == "__main__": main()
