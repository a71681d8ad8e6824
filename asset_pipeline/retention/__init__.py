"""How long pictures are kept that nobody chose. Their bytes may go; what is known of them stays for ever."""
