"""What may stand before a parenthesis and is no function that somebody made.

Functions of the servers, types, and words of the grammar. Source: ``information_schema.sql_functions`` of MariaDB 11.8,
``mysql.help_topic`` of MySQL 9.7, and their manuals.
"""

from __future__ import annotations

_NAMES = """
    abs acos add_months adddate addtime aes_decrypt aes_encrypt against all and any any_value as ascii asin
    asymmetric_decrypt asymmetric_encrypt asymmetric_sign asymmetric_verify atan atan2 avg begin benchmark
    between bigint bin bin_to_uuid binary binlog_gtid_pos bit bit_and bit_count bit_length bit_or bit_xor blob
    by case cast ceil ceiling char char_length character_length charset chr coalesce coercibility collation
    column_check column_exists column_json column_list columns compress concat concat_operator_oracle concat_ws
    connection_id conv convert convert_tz cos cot count crc32 crc32c create_digest cume_dist curdate
    current_date current_role current_time current_timestamp current_user curtime database date date_add
    date_format date_sub datediff datetime day dayname dayofmonth dayofweek dayofyear dec decimal declare decode
    decode_histogram decode_oracle default degrees dense_rank des_decrypt des_encrypt distance distinct div do
    double else elseif elt encode encrypt end enum escape except exists exp export_set extract extractvalue
    field find_in_set first_value float floor for force format format_bytes format_pico_time found_rows from
    from_base64 from_days from_unixtime geomcollection geometrycollection get_format get_lock greatest
    group_concat grouping gtid_subset gtid_subtract having hex hour icu_version if ifnull ignore in index
    inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr int integer intersect interval is is_free_lock
    is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_used_lock is_uuid isnull join json_array json_array_append
    json_array_insert json_array_intersect json_arrayagg json_compact json_contains json_contains_path
    json_depth json_detailed json_equals json_exists json_extract json_insert json_key_value json_keys
    json_length json_loose json_merge json_merge_patch json_merge_preserve json_normalize json_object
    json_object_filter_keys json_object_to_array json_objectagg json_overlaps json_pretty json_query json_quote
    json_remove json_replace json_schema_valid json_schema_validation_report json_search json_set
    json_storage_free json_storage_size json_table json_type json_unquote json_valid json_value kdf key lag
    last_day last_insert_id last_value lateral lcase lead least left length lengthb like limit linestring ln
    load_file localtime localtimestamp locate log log10 log2 lower lpad lpad_oracle ltrim ltrim_oracle make_set
    makedate maketime master_gtid_wait master_pos_wait match max mbrcontains mbrcoveredby mbrcovers mbrdisjoint
    mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin md5 median mediumint member microsecond mid min
    minute mod month monthname multilinestring multipoint multipolygon name_const natural_sort_key nchar nested
    not now nth_value ntile nullif numeric nvarchar nvl nvl2 oct octet_length of offset old_password on or ord
    order over partition password path percent_rank percentile_cont percentile_disc period_add period_diff pi
    point polygon position pow power primary ps_current_thread_id ps_thread_id quarter quote radians rand
    random_bytes rank regexp regexp_instr regexp_like regexp_replace regexp_substr release_all_locks
    release_lock repeat replace replace_oracle return returning reverse right rlike roles_graphml rollup round
    row row_count row_number rpad rpad_oracle rtrim rtrim_oracle schema schemas sec_to_time second select
    session_user set sformat sha sha1 sha2 sign signed sin sleep smallint some soundex source_pos_wait space
    sqrt st_area st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_buffer st_buffer_strategy st_centroid
    st_collect st_contains st_convexhull st_crosses st_difference st_dimension st_disjoint st_distance
    st_distance_sphere st_endpoint st_envelope st_equals st_exteriorring st_frechetdistance st_geohash
    st_geomcollfromtext st_geomcollfromwkb st_geometryfromtext st_geometryn st_geometrytype st_geomfromgeojson
    st_geomfromtext st_geomfromwkb st_hausdorffdistance st_interiorringn st_intersection st_intersects
    st_isclosed st_isempty st_issimple st_isvalid st_latfromgeohash st_latitude st_length st_linefromtext
    st_linefromwkb st_lineinterpolatepoint st_lineinterpolatepoints st_longfromgeohash st_longitude
    st_makeenvelope st_mlinefromtext st_mlinefromwkb st_mpointfromtext st_mpointfromwkb st_mpolyfromtext
    st_mpolyfromwkb st_numgeometries st_numinteriorrings st_numpoints st_overlaps st_pointatdistance
    st_pointfromgeohash st_pointfromtext st_pointfromwkb st_pointn st_polyfromtext st_polyfromwkb st_simplify
    st_srid st_startpoint st_swapxy st_symdifference st_touches st_transform st_union st_validate st_within st_x
    st_y statement_digest statement_digest_text std stddev stddev_pop stddev_samp str_to_date strcmp
    string_to_vector subdate substr substr_oracle substring substring_index subtime sum sys_guid sysdate
    system_user table tan text then time time_format time_to_sec timediff timestamp timestampadd timestampdiff
    tinyint to_base64 to_char to_days to_seconds to_vector trim trim_oracle truncate ucase uncompress
    uncompressed_length unhex union unique unix_timestamp unsigned until updatexml upper use user using utc_date
    utc_time utc_timestamp uuid uuid_short uuid_to_bin uuid_v4 uuid_v7 validate_password_strength value values
    var_pop var_samp varbinary varchar variance vec_distance vec_distance_cosine vec_distance_euclidean
    vec_fromtext vec_totext vector_dim vector_to_string version wait_for_executed_gtid_set week weekday
    weekofyear weight_string when where while window with xor year yearweek
"""
BUILT_IN = frozenset(_NAMES.split())
