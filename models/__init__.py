"""What is protected: a trained model behind one small protocol. Imports numpy only; torch lives in `pytorch.py`."""
