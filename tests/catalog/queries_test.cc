int ntt_queries_placeholder();
