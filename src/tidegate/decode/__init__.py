"""From a recogniser's log probabilities to tokens; takes plain arrays and knows nothing of networks or corpora.

Letters: T frames, V vocabulary, U tokens of a string. log_probs_TV is [T, V + 1], the natural logarithms of probabilities whose
column 0 is CTC's blank (Graves et al. 2006); token i of 1 to V is column i. A string of tokens never holds 0.
"""
